"""The composition root: everything is built here, once, and handed what it uses."""

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.database import Database
from backend.app.services.address_limit import AddressLimit
from backend.app.services.auth_service import AuthService
from backend.app.services.health_service import HealthService
from backend.app.services.login_throttle import LoginThrottling
from backend.app.services.password_service import PasswordService
from backend.app.services.profile_service import ProfileService
from backend.app.services.session_guard import SessionGuard
from backend.app.services.token_service import TokenService
from backend.app.services.user_service import UserService
from backend.app.workers.login_sweeper import LoginSweeper
from backend.app.workers.runner import WorkerRunner
from backend.app.workers.session_listener import SessionListener


class Container:
    """The services of one process. Build it, `start` it, `stop` it."""

    def __init__(self, settings: Settings, database_url: str, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(database_url, settings.database)
        self.health = HealthService(self.database)
        self._build_login()
        self._workers = WorkerRunner(
            (
                SessionListener(self.database.engine, self.session_guard),
                LoginSweeper(self.database, clock),
            )
        )

    def _build_login(self) -> None:
        auth = self.settings.auth
        tokens = TokenService(auth, self.clock)
        throttling = LoginThrottling(auth.jwt_secret, self.clock)
        self._passwords = PasswordService()
        self.session_guard = SessionGuard(self.database, tokens, self.clock)
        self.auth = AuthService(
            database=self.database,
            settings=auth,
            passwords=self._passwords,
            tokens=tokens,
            guard=self.session_guard,
            addresses=AddressLimit(self.settings.cache.redis_url),
            throttling=throttling,
            now=self.clock,
        )
        self.profiles = ProfileService(
            database=self.database,
            passwords=self._passwords,
            guard=self.session_guard,
            throttling=throttling,
            now=self.clock,
        )
        self.users = UserService(
            database=self.database,
            passwords=self._passwords,
            guard=self.session_guard,
            throttling=throttling,
            now=self.clock,
        )

    async def start(self) -> None:
        """Start what runs beside the requests."""
        self._workers.start()

    async def stop(self) -> None:
        """Finish what is under way, then let go of everything, newest first."""
        self.health.drain()
        await self._workers.stop()
        self._passwords.close()
        await self.database.close()
