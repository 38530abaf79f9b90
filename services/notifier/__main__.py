from services.notifier.app import build
from services.notifier.config import Settings
from shared.runtime import run

if __name__ == "__main__":
    run(Settings, build)
