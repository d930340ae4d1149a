"""Everything about merchants' credit, built once."""

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.repositories.withdrawal_book import WithdrawalBook
from backend.app.services.credit.merchant_service import MerchantService
from backend.app.services.credit.pool_service import PoolService
from backend.app.services.dead_settlement_service import DeadSettlementService
from backend.app.services.idempotency.idempotency import Idempotency
from backend.app.services.ledger.statement_service import StatementService
from backend.app.services.settlement.settlement_desk import Payer, SettlementDesk
from backend.app.services.withdrawals.conclusion import Conclusion
from backend.app.services.withdrawals.settlement import NoSettlement, Settlement
from backend.app.services.withdrawals.settling_service import SettlingService
from backend.app.services.withdrawals.withdrawal_service import WithdrawalService
from backend.app.services.withdrawals.withdrawal_writer import WithdrawalWriter
from backend.app.workers.idempotency_sweeper import IdempotencySweeper
from backend.app.workers.runner import Worker
from backend.app.workers.settlement_courier import SettlementCourier


class CreditContainer:
    """The services of credit. `start` it before anybody withdraws, and `stop` it.

    Without a `payer` nobody pays out: withdrawals stay requested, on the books and in the queue.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        payer: Payer | None = None,
        *,
        settles_later: bool = False,
    ) -> None:
        self._database = database
        self._clock = clock
        self._payer = payer
        self.settling = SettlingService(database, clock)
        self._desk: SettlementDesk | None = None
        if payer is not None:
            self._desk = SettlementDesk(
                database=database,
                payer=payer,
                gives_back=self.settling,
                now=clock,
                is_async=settles_later,
            )
        settlement: Settlement = self._desk or NoSettlement()
        self._writer = WithdrawalWriter(WithdrawalBook(database), settlement, clock)
        self.idempotency = Idempotency(database, clock)
        self.merchants = MerchantService(database, clock)
        self.pools = PoolService(database, self.idempotency, clock)
        self.statements = StatementService(database, clock)
        self.withdrawals = WithdrawalService(
            database, self._writer, settlement, Conclusion(database, clock)
        )
        self.dead_settlements = DeadSettlementService(database, clock)

    def workers(self) -> tuple[Worker, ...]:
        """Return what runs beside the requests."""
        sweeper = IdempotencySweeper(self._database, self._clock)
        return (sweeper,) if self._desk is None else (sweeper, SettlementCourier(self._desk))

    async def start(self) -> None:
        """Start the writer of withdrawals."""
        await self._writer.start()

    async def stop(self) -> None:
        """Book what waits, then let go."""
        await self._writer.stop()
        if self._payer is not None:
            await self._payer.close()
