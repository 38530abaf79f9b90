"""The log-in: tickle, status, initialization, log-out."""

from services.simulator.web.call import Call, Handler
from services.simulator.web.portal import Portal


class SessionPaths:
    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    async def tickle(self, _: Call) -> object:
        """Assumed: without a log-in too, so that a client can see that there is none."""
        portal = self._portal
        return {
            "session": portal.session_id,
            "ssoExpires": 600_000,
            "collission": portal.competing,
            "userId": 100_000_001,
            "hmds": {"error": "no bridge"},
            "iserver": {"authStatus": portal.status()},
        }

    async def status(self, _: Call) -> object:
        return self._portal.status()

    async def initialize(self, call: Call) -> object:
        self._portal.log_in(compete=call.body.get("compete") is True)
        return self._portal.status()

    async def reauthenticate(self, _: Call) -> object:
        self._portal.log_in()
        return {"message": "triggered"}

    async def log_out(self, _: Call) -> object:
        self._portal.log_out()
        return {"status": True}

    async def validate(self, _: Call) -> object:
        client = self._portal.client
        return {
            "USER_ID": 100_000_001,
            "USER_NAME": "simulated",
            "RESULT": not client.closed,
            "SF_ENABLED": False,
            "IS_FREE_TRIAL": False,
            "IP": "127.0.0.1",
            "EXPIRES": 600_000,
            "LOGIN_TYPE": 2,
        }

    def open_paths(self) -> list[tuple[str, str, Handler]]:
        """Return method, path and handler of what may be asked without a log-in."""
        return [
            ("GET", "/tickle", self.tickle),
            ("POST", "/tickle", self.tickle),
            ("GET", "/iserver/auth/status", self.status),
            ("POST", "/iserver/auth/status", self.status),
            ("POST", "/iserver/auth/ssodh/init", self.initialize),
            ("POST", "/iserver/reauthenticate", self.reauthenticate),
            ("POST", "/logout", self.log_out),
        ]

    def paths(self) -> list[tuple[str, str, Handler]]:
        return [("GET", "/sso/validate", self.validate)]
