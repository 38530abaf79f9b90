from services.scanner.app import build
from services.scanner.config import Settings
from shared.runtime import run

if __name__ == "__main__":
    run(Settings, build)
