"""The people of the house."""

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, Integer, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.enums import Role
from backend.app.models.base import Base, Timestamped

_ROLES = ", ".join(f"'{role.value}'" for role in Role)


class User(Timestamped, Base):
    """A person who can sign in.

    `auth_version` counts the changes that end every session begun before them: of the password,
    of the role, of being active.
    """

    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_username_lower", func.lower(text("username")), unique=True),
        CheckConstraint(f"role IN ({_ROLES})", name="role"),
        CheckConstraint("email = lower(email)", name="email_lower"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    username: Mapped[str] = mapped_column(String(50), unique=True)
    email: Mapped[str] = mapped_column(String(100), unique=True)
    hashed_password: Mapped[str] = mapped_column(String(255))
    full_name: Mapped[str | None] = mapped_column(String(1000))
    role: Mapped[str] = mapped_column(String(20), server_default=Role.USER.value)
    auth_version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
