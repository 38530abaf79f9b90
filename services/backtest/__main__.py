from services.backtest.app import build
from services.backtest.optimise.config import Settings
from shared.runtime import run

if __name__ == "__main__":
    run(Settings, build)
