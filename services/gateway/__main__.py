from services.gateway.app import build
from services.gateway.config import Settings
from shared.runtime import run

if __name__ == "__main__":
    run(Settings, build)
