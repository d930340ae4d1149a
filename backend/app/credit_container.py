"""Everything about merchants' credit, built once."""

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.repositories.withdrawal_book import WithdrawalBook
from backend.app.services.credit.merchant_service import MerchantService
from backend.app.services.credit.pool_service import PoolService
from backend.app.services.idempotency.idempotency import Idempotency
from backend.app.services.ledger.statement_service import StatementService
from backend.app.services.withdrawals.settlement import NoSettlement, Settlement
from backend.app.services.withdrawals.settling_service import SettlingService
from backend.app.services.withdrawals.withdrawal_service import WithdrawalService
from backend.app.services.withdrawals.withdrawal_writer import WithdrawalWriter
from backend.app.workers.idempotency_sweeper import IdempotencySweeper
from backend.app.workers.runner import Worker


class CreditContainer:
    """The services of credit. `start` it before anybody withdraws, and `stop` it."""

    def __init__(
        self, database: Database, clock: Clock, settlement: Settlement | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._writer = WithdrawalWriter(
            WithdrawalBook(database), settlement or NoSettlement(), clock
        )
        self.idempotency = Idempotency(database, clock)
        self.merchants = MerchantService(database, clock)
        self.pools = PoolService(database, self.idempotency, clock)
        self.statements = StatementService(database, clock)
        self.withdrawals = WithdrawalService(database, self._writer)
        self.settling = SettlingService(database, clock)

    def workers(self) -> tuple[Worker, ...]:
        """Return what runs beside the requests."""
        return (IdempotencySweeper(self._database, self._clock),)

    async def start(self) -> None:
        """Start the writer of withdrawals."""
        await self._writer.start()

    async def stop(self) -> None:
        """Book what waits, then let go."""
        await self._writer.stop()
