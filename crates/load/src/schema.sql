CREATE SCHEMA IF NOT EXISTS duto;

CREATE TABLE IF NOT EXISTS duto.schema (
    version integer NOT NULL,
    database_id uuid NOT NULL DEFAULT gen_random_uuid()
);

CREATE TABLE IF NOT EXISTS duto.pipeline_table (
    table_name text PRIMARY KEY,
    pipeline text NOT NULL
);

CREATE TABLE IF NOT EXISTS duto.position (
    pipeline text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    cluster_id text NOT NULL,
    topic_id text NOT NULL,
    leader_epoch integer NOT NULL,
    next bigint NOT NULL,
    fence uuid NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    rollups text NOT NULL DEFAULT '',
    PRIMARY KEY (pipeline, topic, partition)
) WITH (fillfactor = 20);

CREATE TABLE IF NOT EXISTS duto.pipeline (
    pipeline text PRIMARY KEY,
    rollups text NOT NULL,
    views text NOT NULL
);

CREATE TABLE IF NOT EXISTS duto.rollup (
    pipeline text NOT NULL,
    name text NOT NULL,
    definition text NOT NULL,
    tables text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('filling', 'ready')),
    registered_at timestamptz NOT NULL DEFAULT now(),
    filled_at timestamptz,
    PRIMARY KEY (pipeline, name)
);

CREATE TABLE IF NOT EXISTS duto.view (
    pipeline text NOT NULL,
    name text NOT NULL,
    place integer NOT NULL,
    PRIMARY KEY (pipeline, name)
);
-- Why PostgreSQL refuses to make it as it is declared, and whether a view of the name was made by us.
ALTER TABLE duto.view ADD COLUMN IF NOT EXISTS refused text, ADD COLUMN IF NOT EXISTS made boolean NOT NULL DEFAULT true;

CREATE TABLE IF NOT EXISTS duto.batch (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('load', 'rewind', 'skip', 'replay')),
    from_offset bigint NOT NULL,
    to_offset bigint NOT NULL,
    records integer NOT NULL,
    stored integer NOT NULL,
    repeated integer NOT NULL,
    rejected integer NOT NULL,
    filtered integer NOT NULL,
    not_stored bigint[] NOT NULL,
    outcomes text NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    worker text NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (records = stored + repeated + rejected + filtered),
    CHECK (cardinality(not_stored) = length(outcomes))
);
-- CREATE INDEX IF NOT EXISTS would take its lock before it looks: each start would wait for all loads in flight, a stalled one among
-- them, and the other loads behind it.
DO $$ BEGIN
    IF to_regclass('duto.batch_by_offset') IS NULL THEN
        CREATE INDEX batch_by_offset ON duto.batch (pipeline, topic, partition, from_offset);
    END IF;
END $$;

CREATE TABLE IF NOT EXISTS duto.reject (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline text NOT NULL,
    cluster_id text NOT NULL,
    topic text NOT NULL,
    topic_id text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key bytea,
    payload bytea,
    headers bytea,
    payload_bytes bigint,
    payload_sha256 bytea,
    stage text NOT NULL,
    path text NOT NULL,
    rule text NOT NULL,
    reason text NOT NULL,
    sqlstate text,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'replayed', 'discarded')),
    UNIQUE (pipeline, cluster_id, topic, topic_id, partition, "offset")
);
-- The whole sentence where `encryption` seals it; `reason` then names the place and the rule alone.
ALTER TABLE duto.reject ADD COLUMN IF NOT EXISTS sealed_reason bytea;

CREATE TABLE IF NOT EXISTS duto.replay (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reject_id bigint NOT NULL REFERENCES duto.reject (id) ON DELETE CASCADE,
    outcome text NOT NULL,
    reason text,
    replayed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS duto.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    target text NOT NULL,
    key bytea,
    value bytea,
    headers bytea,
    message_id uuid NOT NULL,
    token uuid NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);
DO $$ BEGIN
    IF to_regclass('duto.outbox_by_position') IS NULL THEN
        CREATE INDEX outbox_by_position ON duto.outbox (pipeline, topic, partition, id);
    END IF;
END $$;

CREATE TABLE IF NOT EXISTS duto.answer (
    pipeline text NOT NULL,
    idempotency_key text NOT NULL,
    "offset" bigint NOT NULL,
    status integer NOT NULL,
    body bytea NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline, idempotency_key)
);
DO $$ BEGIN
    IF to_regclass('duto.answer_by_age') IS NULL THEN
        CREATE INDEX answer_by_age ON duto.answer (pipeline, answered_at);
    END IF;
END $$;

-- Who did what by hand, and who was not let in. Rows are only ever added, and nothing of duto's deletes them.
CREATE TABLE IF NOT EXISTS duto.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    pipeline text NOT NULL,
    actor text NOT NULL,
    via text NOT NULL,
    action text NOT NULL,
    what text NOT NULL,
    why text,
    database_role text NOT NULL DEFAULT current_user
);
DO $$ BEGIN
    IF to_regclass('duto.audit_by_pipeline') IS NULL THEN
        CREATE INDEX audit_by_pipeline ON duto.audit (pipeline, id);
    END IF;
END $$;
