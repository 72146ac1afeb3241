"""Who stores flat records: duto, and Kafka Connect in two ways. Each runs as a service until it is
told to end, since Kafka Connect knows no other way."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import connect
import flat_record
from child import Child
from latency import free_port
from pipeline import Duto

DUTO, AS_IT_COMES, AT_ITS_BEST = "duto", "connect_as_it_comes", "connect_at_its_best"


@dataclass
class Start:
    """Which records are stored where. The group's offsets say where a second start goes on."""

    topic: str
    group: str
    database: str
    # Into a table without a key, to which every record that comes adds a row.
    append: bool = False


@dataclass
class Contender:
    name: str
    # A record as it takes it, by its number.
    make: Callable[[int], bytes]
    start: Callable[[Start], Child]

    def is_peer(self) -> bool:
        """What a peer cannot do is a figure; what duto cannot do ends the bench."""
        return self.name != DUTO


def contenders(duto: Duto) -> list[Contender]:
    def start_duto(start: Start) -> Child:
        flat = replace(duto, file=flat_record.pipeline(duto, start.append))
        return flat.start(start.topic, start.group, start.database, free_port())

    def start_connect(settings: connect.Settings) -> Callable[[Start], Child]:
        return lambda start: connect.start(
            duto.kafka,
            start.database,
            start.topic,
            duto.folder,
            settings,
            sink=start.group,
            append=start.append,
        )

    as_it_comes, at_its_best = map(start_connect, (connect.AS_IT_COMES, connect.AT_ITS_BEST))
    return [
        Contender(DUTO, flat_record.plain, start_duto),
        Contender(AS_IT_COMES, flat_record.with_schema, as_it_comes),
        Contender(AT_ITS_BEST, flat_record.plain, at_its_best),
    ]
