from services.marketdata.app import build
from services.marketdata.config import Settings
from shared.runtime import run

if __name__ == "__main__":
    run(Settings, build)
