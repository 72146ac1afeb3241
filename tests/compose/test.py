"""Runs compose.yaml and looks at what its user would see, as a story told in order. Called by scripts/compose-test."""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from engine import ADDRESS, Compose, check, get, post, step, until
from rules import check_files

ORDER = {"order_number": 123, "order_items": [{"item_id": 0, "qty": 2, "value_unit": 50.0}, {"item_id": 1, "qty": 1, "value_unit": 100.0}]}
PRODUCT = {
    "productId": "12369", "productName": "Cadeira", "productDescription": "De escritório", "price": 100.0,
    "currency": "BRL", "stockQuantity": 50, "category": "Móveis",
}
PACKAGES = [
    ("1333", "Natal", "Paraíba", "AGUARDANDO RETIRADA", "2025-10-12T08:15:00Z"),
    ("1411", "Acre", "Rondônia", "EXTRAVIADO", "2025-10-12T14:30:00Z"),
    ("1333", "Natal", "Paraíba", "ENTREGUE", "2025-10-13T17:40:00Z"),
]
PACKAGE_KEYS = ("id_pacote", "origem", "destino", "status_rastreamento", "data_atualizacao")
WEB = {"sales": 8081, "ecommerce": 8082, "products-api": 8000, "products-scheduler": 8010, "logistics": 8083}
EVENTS_OF_LOAD = 30_000
LATER = 3


def main(project: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "env"
        subprocess.run(["scripts/compose-env", str(environment)], check=True)
        with environment.open("a") as file:
            file.write(f"ADDRESS={ADDRESS}\nDATABASE_ADDRESS={ADDRESS}\n")
        compose = Compose(project, environment)
        with step("the files obey the specification and the rules"):
            check_files(compose)
        with step("the image is small, and has neither a shell nor root"):
            look_at_image()
        try:
            tell(compose)
        except BaseException:
            compose.show_logs()
            raise


def tell(compose: Compose) -> None:
    with step("up: everything is ready"):
        compose.run("up", "--detach")
        wait_until_ready()
    with step("sales: an order becomes a row"):
        sales(compose)
    with step("e-commerce: events become figures"):
        ecommerce()
    with step("products: once round the loop, and told on the topic"):
        products(compose)
    with step("tracking: three events become the old figures"):
        tracking()
    with step("batch: a file into a database of its own, the second time without effect"):
        batch(compose)
    with step("topics: all of them, and what became of a message"):
        topics()
    with step("pages are served"):
        pages()
    with step("networks and roles: who need not reach a database does not"):
        isolation(compose)
    with step("generators, three of them, and three workers that share the partitions"):
        sent = scaled(compose)
    with step("a worker is killed in the middle of a load"):
        sent += killed_worker(compose)
    with step("each event is there once"):
        expect_events(compose, sent)
    with step("the old README's pg_dump and psql"):
        backup(compose, sent)
        sent += LATER
    with step("every health check passes"):
        health_checks(compose)
    with step("down and up again: nothing is lost or doubled"):
        again(compose, sent)
    with step("a client on this machine reaches Kafka and PostgreSQL where docs/deploy.md publishes them"):
        client_on_this_machine(compose)


def wait_until_ready() -> None:
    for service, port in WEB.items():
        until(f"{service} is ready", 120, lambda port=port: get(port, "/readyz")[0] == 200)
    until("the topic browser answers", 60, lambda: get(9030, "/livez")[0] == 200)


def look_at_image() -> None:
    [image] = json.loads(output("podman", "image", "inspect", "localhost/duto:latest"))
    megabytes = image["Size"] / 1e6
    print(f"        {megabytes:.0f} MB")
    check(megabytes < 120, f"the image has {megabytes:.0f} MB")
    check(image["Config"]["User"] == "65532:65532", image["Config"]["User"])
    check("org.opencontainers.image.version" in image["Config"]["Labels"], "it has no label of its version")
    root = Path(output("podman", "image", "mount", "localhost/duto:latest"))
    programs = [str(file.relative_to(root)) for file in root.rglob("*") if file.is_file() and file.parent.name in ("bin", "sbin")]
    output("podman", "image", "unmount", "localhost/duto:latest")
    check(programs == ["usr/local/bin/duto"], f"programs of the image: {programs}")


def sales(compose: Compose) -> None:
    status, body = post(8081, "/orders", ORDER)
    check(status == 202, f"{status}: {body}")
    status, body = post(8081, "/orders", {"wrong_field": "no_order_number"})
    check(status == 422 and "order_number is missing" in body, f"{status}: {body}")
    until("the order is a row", 30, lambda: compose.psql("postgres", "sales", "sales_db", "SELECT order_number, total_value FROM sales") == "123|200.00")
    # As the superuser of the image, which the old compose file had.
    check(compose.psql("postgres", "postgres", "sales_db", "SELECT count(*) FROM sales") == "1", "the superuser sees it too")


def event(event_id: str, kind: str, user: str, **more: object) -> dict:
    # The windows of the last hours end at the current second.
    before = datetime.now(timezone.utc) - timedelta(seconds=30)
    return {"event_id": event_id, "event_type": kind, "timestamp": before.isoformat(), "user_id": user, "session_id": "s", **more}


def ecommerce() -> None:
    product = {"id": "PROD007", "name": "The Great Gatsby Book", "category": "Books", "price": 14.99}
    events = [
        event("one", "page_view", "USER001", page_url="/home"),
        event("two", "purchase", "USER002", product=product, quantity=2, total_amount=29.98, payment_method="paypal"),
        event("one", "page_view", "USER001", page_url="/home"),
    ]
    status, body = post(8082, "/events", events)
    check(status == 202, f"{status}: {body}")
    until("the figures move", 30, lambda: summary()["total_events"] == 2)
    expected = {"total_events": 2, "events_24h": 2, "total_transactions": 1, "unique_users": 2, "unique_products": 1}
    found = summary()
    check(all(found[name] == value for name, value in expected.items()) and float(found["total_revenue"]) == 29.98, str(found))
    for path in ("timeline", "top-products", "by-category", "event-types"):
        status, body = get(8082, f"/api/metrics/{path}")
        check(status == 200 and json.loads(body), f"{path}: {status}: {body}")
    status, body = get(8082, "/api/metrics/realtime")
    check(status == 200 and "events_per_minute" in json.loads(body), f"{status}: {body}")


def summary() -> dict:
    status, body = get(8082, "/api/metrics/summary")
    check(status == 200, f"{status}: {body}")
    return json.loads(body)


def products(compose: Compose) -> None:
    status, body = post(8000, "/produto/manual", PRODUCT)
    check(status == 200 and json.loads(body)["message"] == "Product message sent to Kafka", f"{status}: {body}")
    row = 'SELECT "productId", price, currency, "stockQuantity" FROM products'
    until("the product is a row", 60, lambda: compose.psql("postgres", "products", "products_db", row) == "12369|100.00|BRL|50")
    until("it is told", 60, lambda: "12369" in get(9030, "/duto/topics/produtos-persistidos/messages")[1])
    status, body = get(8010, "/")
    check(status == 200 and "message" in json.loads(body), f"{status}: {body}")


def tracking() -> None:
    status, body = post(8083, "/eventos", [dict(zip(PACKAGE_KEYS, package)) for package in PACKAGES])
    check(status == 202, f"{status}: {body}")
    until("the packages are counted", 30, lambda: json.loads(get(8083, "/api/pacotes/total")[1]) == {"total_pacotes": 2})
    mean = json.loads(get(8083, "/api/pacotes/entrega")[1])
    check(float(mean["segundos"]) == 33 * 3600 + 25 * 60 and mean["pacotes_entregues"] == 1, str(mean))
    statuses = {row["status"]: row["pacotes"] for row in json.loads(get(8083, "/api/pacotes/status")[1])}
    check(statuses == {"ENTREGUE": 1, "EXTRAVIADO": 1}, str(statuses))


def batch(compose: Compose) -> None:
    counts = []
    for _ in range(2):
        compose.run("--profile", "batch", "run", "--rm", "-T", "logistics-batch")
        url = f"postgresql://docker:{compose.password('LOGISTICS')}@{ADDRESS}:5433/realtime_logistica"
        counts.append(output("psql", "-XAt", url, "-c", "SELECT (SELECT count(*) FROM pacotes), (SELECT count(*) FROM eventos_rastreamento)"))
    check(counts[0] == counts[1] and not counts[0].startswith("0"), f"after each load: {counts}")
    # The tracking database, by its old port and user, has its own packages alone.
    url = f"postgresql://docker:{compose.password('LOGISTICS')}@{ADDRESS}:5434/realtime_logistica"
    check(output("psql", "-XAt", url, "-c", "SELECT count(*) FROM pacotes") == "2", "packages of the tracking database")


def topics() -> None:
    status, body = get(9030, "/duto/topics")
    names = {topic["name"] for topic in json.loads(body)["topics"]}
    expected = {"sales", "ecommerce-events", "cadastro-produtos", "produtos-recebidos", "produtos-persistidos", "eventos_rastreamento"}
    check(expected <= names, f"{names}")
    for topic in ("sales", "eventos_rastreamento"):
        _, body = get(9030, f"/duto/topics/{topic}/messages")
        until(f"{topic}: what became of a message", 20, lambda topic=topic: "stored" in get(9030, f"/duto/topics/{topic}/outcomes?{outcome_query(topic)}")[1])


def outcome_query(topic: str) -> str:
    messages = json.loads(get(9030, f"/duto/topics/{topic}/messages")[1])["messages"]
    return "at=" + ",".join(f"{message['partition']}:{message['offset']}" for message in messages)


def pages() -> None:
    for port, path in [(8082, "/"), (8083, "/"), (9030, "/"), (8000, "/docs"), (8010, "/docs"), (8081, "/docs")]:
        status, body = get(port, path)
        check(status == 200 and "<html" in body.lower(), f"port {port}{path}: {status}")


def isolation(compose: Compose) -> None:
    """Looked at from a container of each network, and by each role."""
    image = "docker.io/library/postgres:15-bookworm"
    reached = {}
    for network in ("web", "kafka", "postgres", "tracking", "batch"):
        script = "for at in kafka/9092 postgres/5432 tracking-db/5432 batch-db/5432; do timeout 3 bash -c \": </dev/tcp/$at\" 2>/dev/null && echo $at & done; wait"
        run = ["podman", "run", "--rm", "--network", f"{compose.project}_{network}", "--entrypoint", "bash", image, "-c", script]
        reached[network] = output(*run).split()
    expected = {"web": [], "kafka": ["kafka/9092"], "postgres": ["postgres/5432"], "tracking": ["tracking-db/5432"], "batch": ["batch-db/5432"]}
    check(reached == expected, f"reached by network: {reached}")
    for user, database in [("sales", "pipeline_db"), ("admin", "sales_db"), ("products", "sales_db")]:
        refused = compose.psql("postgres", user, database, "SELECT 1", fails=True)
        check("permission denied for database" in refused, f"{user} on {database}: {refused}")
    check(compose.psql("postgres", "reader", "pipeline_db", "SELECT count(*) FROM events") == "2", "reader sees the events")
    refused = compose.psql("postgres", "reader", "pipeline_db", "DELETE FROM events", fails=True)
    check("permission denied" in refused, refused)
    for user in ("sales", "admin", "products", "reader"):
        check(compose.psql("postgres", user, "postgres", f"SELECT rolsuper FROM pg_roles WHERE rolname = '{user}'") == "f", f"{user} is a superuser")


def scaled(compose: Compose) -> int:
    """The generators of the profile, three of e-commerce; what they say at their end is what was sent."""
    up = ["--profile", "generators", "up", "--detach"]
    compose.scale(up, {"ecommerce-worker": 3, "ecommerce-producer": 3})
    check(len(compose.containers("ecommerce-worker")) == 3, "three workers run")
    check(len(compose.containers("ecommerce-producer")) == 3, "three producers run")
    shares = "SELECT count(DISTINCT worker) FROM duto.batch WHERE committed_at > now() - interval '3 seconds' AND kind = 'load'"
    until("three workers share the partitions", 60, lambda: compose.psql("postgres", "admin", "pipeline_db", shares) == "3")
    for database, user, query in [
        ("sales_db", "sales", "SELECT count(*) > 10 FROM sales"), ("products_db", "products", "SELECT count(*) > 10 FROM products"),
    ]:
        until(f"{database} fills", 60, lambda: compose.psql("postgres", user, database, query) == "t")
    until("packages move", 60, lambda: json.loads(get(8083, "/api/pacotes/total")[1])["total_pacotes"] > 5)
    sent = 0
    for container in [one for service in ("sales", "products", "logistics", "ecommerce") for one in compose.containers(f"{service}-producer")]:
        output("podman", "stop", "--time", "20", container)
        said = output("podman", "logs", container, errors=True)
        check(" records sent in " in said and " 0 failed" in said, said)
        if "ecommerce" in container:
            sent += int(said.split(" records sent in ")[0].split()[-1])
    check(sent > 0, "something was sent")
    return sent


def killed_worker(compose: Compose) -> int:
    load = compose.start("--profile", "generators", "run", "--rm", "-T", "ecommerce-producer", "generate", "pipelines/ecommerce/pipeline.yaml",
                         "--count", str(EVENTS_OF_LOAD), "--rate", "4000")
    time.sleep(3)
    victim = compose.containers("ecommerce-worker")[0]
    output("podman", "kill", "--signal", "KILL", victim)
    said = load.communicate(timeout=120)[0]
    check(load.returncode == 0 and f"{EVENTS_OF_LOAD} records sent" in said, said)
    return EVENTS_OF_LOAD


def expect_events(compose: Compose, sent: int) -> None:
    count = f"SELECT count(*) FROM events"
    until("all events are stored", 90, lambda: compose.psql("postgres", "admin", "pipeline_db", count) == str(sent + 2), lambda: compose.psql("postgres", "admin", "pipeline_db", count) + f" of {sent + 2}")
    check(summary()["total_events"] == sent + 2, f"{summary()} of {sent + 2}")
    said = compose.run("exec", "-T", "ecommerce", "duto", "rollups", "verify", "pipelines/ecommerce/pipeline.yaml")
    check("differ" not in said, said)


def backup(compose: Compose, sent: int) -> None:
    """A restored backup is older than the topic: the rest is read again, and nothing twice."""
    dump = compose.run("exec", "-T", "postgres", "pg_dump", "-U", "admin", "pipeline_db")
    status, body = post(8082, "/events", [event(f"after the backup {number}", "search", "USER003") for number in range(LATER)])
    check(status == 202, f"{status}: {body}")
    until("they are stored", 30, lambda: summary()["total_events"] == sent + 2 + LATER)
    writers = compose.containers("ecommerce") + compose.containers("ecommerce-worker")
    output("podman", "stop", "--time", "40", *writers)
    compose.run("exec", "-T", "postgres", "psql", "-U", "admin", "-d", "pipeline_db", "-c", "DROP OWNED BY admin")
    compose.run("exec", "-T", "postgres", "psql", "-q", "-v", "ON_ERROR_STOP=1", "-U", "admin", "-d", "pipeline_db", stdin=dump)
    restored = compose.psql("postgres", "admin", "pipeline_db", "SELECT count(*) FROM events")
    check(restored == str(sent + 2), f"restored: {restored} of {sent + 2}")
    output("podman", "start", *writers)
    until("the rest is read again", 60, lambda: summary()["total_events"] == sent + 2 + LATER)
    check(compose.psql("postgres", "reader", "pipeline_db", "SELECT count(*) FROM events") == str(sent + 2 + LATER), "reader sees them as before")


def health_checks(compose: Compose) -> None:
    checked = 0
    for container in compose.containers():
        [found] = json.loads(output("podman", "inspect", container))
        if found["Config"].get("Healthcheck"):
            said = subprocess.run(["podman", "healthcheck", "run", container], capture_output=True, text=True)
            check(said.returncode == 0, f"{container}: {said.stdout}{said.stderr}")
            checked += 1
    check(checked >= 10, f"only {checked} containers have one")


def again(compose: Compose, sent: int) -> None:
    tables = [
        ("postgres", "sales", "sales_db", "sales"), ("postgres", "admin", "pipeline_db", "events"), ("postgres", "admin", "pipeline_db", "transactions"),
        ("postgres", "products", "products_db", "products"), ("tracking-db", "docker", "realtime_logistica", "eventos_rastreamento"),
        ("batch-db", "docker", "realtime_logistica", "eventos_rastreamento"),
    ]
    count = lambda: [compose.psql(server, user, database, f"SELECT count(*) FROM {table}") for server, user, database, table in tables]
    before = count()
    # podman-compose knows those of --scale as orphans; Docker's knows them by itself.
    compose.run("--profile", "generators", "down", "--remove-orphans")
    check(not compose.containers(), f"after down there are still {compose.containers()}")
    compose.run("up", "--detach")
    wait_until_ready()
    status, body = post(8082, "/events", [event("three", "search", "USER003"), event("one", "page_view", "USER001")])
    check(status == 202, f"{status}: {body}")
    until("the next event is stored", 60, lambda: summary()["total_events"] == sent + 3)
    before[1] = str(int(before[1]) + 1)
    check(count() == before, f"before {before}, after {count()}")


def client_on_this_machine(compose: Compose) -> None:
    text = Path("docs/deploy.md").read_text().split("# compose.override.yaml\n")[1].split("```")[0]
    override = compose.environment.with_name("compose.override.yaml")
    override.write_text(text.replace("127.0.0.1", ADDRESS))
    # What is advertised is where clients go on to.
    with compose.environment.open("a") as file:
        file.write(f"KAFKA_HOST_NAME={ADDRESS}\n")
    compose.run("--file", "compose.yaml", "--file", str(override), "up", "--detach", "--force-recreate", "kafka", "postgres")
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": f"{ADDRESS}:9092"}
    until("Kafka answers", 60, lambda: subprocess.run(
        ["bin/duto", "generate", "pipelines/sales/pipeline.yaml", "--count", "1", "--rate", "0"], env=environment, capture_output=True, timeout=60).returncode == 0)
    url = f"postgresql://admin:{compose.password('ECOMMERCE')}@{ADDRESS}:5432/pipeline_db"
    until("psql answers", 30, lambda: output("psql", "-XAt", url, "-c", "SELECT count(*) > 0 FROM events") == "t")


def output(*command: str, errors: bool = False) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    check(done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return (done.stdout + (done.stderr if errors else "")).strip()


if __name__ == "__main__":
    main(sys.argv[1])
