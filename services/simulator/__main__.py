from services.simulator.app import build
from services.simulator.config import Settings
from shared.runtime import run

if __name__ == "__main__":
    run(Settings, build)
