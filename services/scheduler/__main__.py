from services.scheduler.app import build
from services.scheduler.config import Settings
from shared.runtime import run

if __name__ == "__main__":
    run(Settings, build)
