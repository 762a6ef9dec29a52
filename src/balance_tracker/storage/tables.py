"""Every table. Migrations are made from this page, and a test holds them against it."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from balance_tracker.storage.columns import Document, Money, UtcTime

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("scopes", String(60), nullable=False),
    Column("rate_limit", String(30)),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
)

KEY_SECRETS = Table(
    "key_secrets",
    METADATA,
    Column("prefix", String(20), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("key_id", ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
)
"""SHA-256 of each secret of a key: the newest, and until their overlap ends those rotated out.

A secret is found by its prefix, which is no secret, and compared in constant time.
"""

EPOCHS = Table(
    "epochs",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Counts the changes of what processes keep in memory: who sees another number reads again."""

KEY_USAGE = Table(
    "key_usage",
    METADATA,
    Column("key_id", ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("route", String(100), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
)

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("state", String(12), nullable=False),
    Column("payload", Document, nullable=False),
    Column("unique_key", String(200), unique=True),
    Column("run_at", UtcTime, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("most_attempts", Integer, nullable=False),
    Column("lease", String(40)),
    Column("lease_until", UtcTime),
    Column("error", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Index("ix_jobs_state_run_at", "state", "run_at"),
)

WALLETS = Table(
    "wallets",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("owner", String(40), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("networks", Text),
    Column("currency", String(10), nullable=False),
    Column("snapshot_every_seconds", Integer),
    Column("next_snapshot_at", UtcTime, index=True),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

WALLET_ADDRESSES = Table(
    "wallet_addresses",
    METADATA,
    Column("wallet_id", ForeignKey("wallets.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("address", String(120), nullable=False),
    Column("name", String(255)),
)

SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("owner", String(40), nullable=False),
    Column("subject", String(140), nullable=False),
    Column("wallet_id", String(40)),
    Column("name", String(100)),
    Column("currency", String(10), nullable=False),
    Column("taken_at", UtcTime, nullable=False),
    Column("state", String(12), nullable=False),
    Column("total_value", Money),
    Column("known_value", Money),
    Column("unpriced", Integer, nullable=False),
    Column("document", Document, nullable=False),
    Column("unique_key", String(120), unique=True),
    # A series is thinned out from this index alone.
    Index("ix_snapshots_series", "subject", "owner", "taken_at", "id", "state", "currency"),
    Index("ix_snapshots_owner_taken_at", "owner", "taken_at", "id"),
    Index("ix_snapshots_taken_at", "taken_at"),
)
"""``subject`` is the address, or ``wallet:…``; ``state`` is ``complete``, ``estimated`` or ``incomplete``."""

BATCHES = Table(
    "batches",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("owner", String(40), nullable=False),
    Column("job_id", String(40), nullable=False),
    Column("state", String(12), nullable=False),
    Column("question", Document, nullable=False),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("incomplete", Integer, nullable=False),
    Column("error", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("idempotency_key", String(255)),
    Column("fingerprint", LargeBinary(32)),
    UniqueConstraint("owner", "idempotency_key"),
    Index("ix_batches_created_at", "created_at"),
)

BATCH_RESULTS = Table(
    "batch_results",
    METADATA,
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("status", String(12), nullable=False),
    Column("document", Document, nullable=False),
)

LEADERS = Table(
    "leaders",
    METADATA,
    Column("task", String(40), primary_key=True),
    Column("holder", String(40), nullable=False),
    Column("until", UtcTime, nullable=False),
)
"""Which process does what only one may do at a time (scheduling, cleaning up)."""
