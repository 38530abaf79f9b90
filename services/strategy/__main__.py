from services.strategy.app import build
from services.strategy.config import Settings
from shared.runtime import run

if __name__ == "__main__":
    run(Settings, build)
