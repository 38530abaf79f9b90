from services.execution.app import build
from services.execution.config import Settings
from shared.runtime import run

if __name__ == "__main__":
    run(Settings, build)
