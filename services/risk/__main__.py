from services.risk.app import build
from services.risk.config import Settings
from shared.runtime import run

if __name__ == "__main__":
    run(Settings, build)
