"""Real servers on loopback, for `./dev services`, the tests and the benchmark.

    sys.path.insert(0, ".../tools")
    import services
    with services.MariaDB(folder) as server:    # a free port; ready; killed and wiped after
        server.port, server.socket, server.pid
        server.sql("SELECT 1")                  # [["1"]]
        server.kill(); server.start()           # same data, same port
        server.pause(); server.resume()         # SIGSTOP, SIGCONT
        server.stop()                           # in order
        server.log()

    with services.Redis(folder) as node:
        node.call("GET", "key")
    with services.KafkaCluster(folder, brokers=3) as cluster:
        cluster.bootstrap, cluster.nodes[0].kill()

Whatever is started here dies with this process, even if that is killed.
"""

from services.kafka import Kafka, KafkaCluster
from services.mariadb import MariaDB
from services.mysql_wire import SqlError
from services.ports import free_port
from services.process import ServerError
from services.redis import Redis, RedisError
from services.tls import Certificates, make_certificates

__all__ = ["Certificates", "Kafka", "KafkaCluster", "MariaDB", "Redis", "RedisError", "ServerError",
           "SqlError", "free_port", "make_certificates"]
