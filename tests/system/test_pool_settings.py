"""The settings of frameworks in docs/pools.rst, with the frameworks of Debian and real servers.

ThinkPHP is not in Debian: its settings are read as its own code reads them, into the options of
PHP's drivers that it sets.
"""

import json
import re
from pathlib import Path
from typing import Any

from phpgw.pools.front import open_socket
from phpgw.pools.kinds import make_pool
from phpgw.settings.pool_text import parse_pool
from tests.support.real.command import run
from tests.support.real.gateway import ROOT
from tests.support.real.https_api import HttpsApi
from tests.support.real.mariadb import MariaDb
from tests.support.real.php import debian_library, php_with
from tests.support.real.postgres import Postgres
from tests.support.real.process import MissingProgram
from tests.support.real.redis import Redis
from tests.support.real.system_test_case import SystemTestCase

_PAGE = ROOT / "docs" / "pools.rst"
_SOCKETS = "/run/phpgw/pools/"
_PASSWORD = "geheim"
_WORDPRESS = Path("/usr/share/wordpress")


def settings(title: str, number: int = 0) -> str:
    """Return a block of the section with this title, as it is on the page."""
    _, _, section = _PAGE.read_text().partition(f"\n{title}\n~")
    blocks = re.findall(r"::\n\n((?:(?:    .*)?\n)+)", section)
    return str(blocks[number])


class PoolSettingsTestCase(SystemTestCase):
    def start_pool(self, name: str, url: str, **fields: object) -> None:
        """Start a pool where the page has its socket."""
        from twisted.internet import reactor

        self.sockets = self.directory / "pools"
        text = "&".join(f"{key.replace('_', '-')}={value}" for key, value in fields.items())
        socket = self.sockets / ("pg/.s.PGSQL.5432" if name == "pg" else f"{name}.sock")
        config = parse_pool(f"{name}={url}?size=2&wait=3s&socket={socket}&{text}")
        pool = make_pool(reactor, config)
        pool.start(open_socket(config))
        self.addCleanup(pool.stop_within, 0.1)

    def start_database(self) -> None:
        server: MariaDb = self._started(MariaDb(self._directory_for("db")))
        server.run(
            f"CREATE DATABASE shop; CREATE USER app@localhost IDENTIFIED BY '{_PASSWORD}';"
            "GRANT ALL ON shop.* TO app@localhost; CREATE TABLE shop.goods (name TEXT);"
            "INSERT INTO shop.goods VALUES ('Käse')"
        )
        password = self.directory / "password"
        password.write_text(_PASSWORD)
        password.chmod(0o600)
        fields = {"user": "app", "database": "shop", "password_file": password}
        self.start_pool("db", f"mysql+unix://{server.socket}", **fields)

    def start_postgres(self) -> None:
        server: Postgres = self._started(Postgres(self._directory_for("postgres")))
        server.ask(
            "CREATE TABLE goods (name text); INSERT INTO goods VALUES ('Käse'); "
            "GRANT ALL ON goods TO app"
        )
        password = self.directory / "secret"
        password.write_text(Postgres.password)
        password.chmod(0o600)
        fields = {"user": "app", "database": "shop", "password_file": password}
        self.start_pool("pg", f"postgres+unix://{server.socket}", **fields)

    def start_cache(self) -> None:
        redis: Redis = self._started(Redis(self._directory_for("redis")))
        self.start_pool("cache", f"redis+unix://{redis.socket}")

    def start_api(self) -> None:
        api: HttpsApi = self._started(HttpsApi(self._directory_for("api")))
        self.start_pool("api", api.url, ca_file=api.certificate.path)

    async def php(self, source: str) -> Any:
        """Run PHP code with settings in it, and return the JSON that it prints."""
        path = self.directory / "script.php"
        path.write_text("<?php\n" + source.replace(_SOCKETS, f"{self.sockets}/"))
        command = [php_with("redis", "php-redis"), "-d", "display_errors=stderr", str(path)]
        # Debian's frameworks are older than its PHP.
        ended = await run([*command[:1], "-d", "error_reporting=8191", *command[1:]])
        self.assertFalse(ended.stderr, ended.stderr)
        return json.loads(ended.stdout)


class PoolSettingsTests(PoolSettingsTestCase):
    async def test_plain(self) -> None:
        self.start_database()
        self.start_cache()
        self.start_postgres()
        told = await self.php(
            settings("Plain PHP")
            + """
            $query = 'SELECT name FROM goods';
            $redis->set('a', 'b');
            echo json_encode([
                $pdo->query($query)->fetchColumn(),
                $mysqli->query($query)->num_rows,
                $postgres->query($query)->fetchColumn(),
                $redis->get('a'),
            ]);
            """
        )
        self.assertEqual(["Käse", 1, "Käse", "b"], told)

    async def test_laravel(self) -> None:
        """Its database, in a transaction, its Redis, and its HTTP client."""
        self.start_database()
        self.start_cache()
        self.start_api()
        self.start_postgres()
        libraries = [
            debian_library(f"Illuminate/{name}", f"php-illuminate-{name.lower()}")
            for name in ("Database", "Redis", "Http")
        ]
        libraries.append(debian_library("GuzzleHttp", "php-guzzlehttp-guzzle"))
        call = settings("Laravel", 1).strip().rstrip(";")
        told = await self.php(
            "\n".join(f"require '{path}';" for path in libraries)
            + f"\n$config = [{settings('Laravel')}];\n"
            + """
            $capsule = new Illuminate\\Database\\Capsule\\Manager();
            $capsule->addConnection($config['connections']['mysql']);
            $db = $capsule->getConnection();
            $capsule->addConnection($config['connections']['pgsql'], 'pgsql');
            $db->transaction(fn () => $db->table('goods')->insert(['name' => 'Öl']));
            ['client' => $driver] = $config['redis'];
            unset($config['redis']['client']);
            $manager = new Illuminate\\Redis\\RedisManager(null, $driver, $config['redis']);
            $manager->connection()->set('a', 'b');
            final class Http {
                public static function withOptions(array $options) {
                    return (new Illuminate\\Http\\Client\\Factory())->withOptions($options);
                }
            }
            """
            + f"$got = {call};\n"
            + """
            echo json_encode([
                $db->table('goods')->orderBy('name')->pluck('name'),
                $capsule->getConnection('pgsql')->table('goods')->value('name'),
                $manager->connection()->get('a'),
                $got->json('target'),
            ]);
            """
        )
        self.assertEqual([["Käse", "Öl"], "Käse", "b", "/echo"], told)

    async def test_symfony(self) -> None:
        """Doctrine's DBAL, the cache, and the HTTP client."""
        self.start_database()
        self.start_cache()
        self.start_api()
        self.start_postgres()
        libraries = [
            debian_library("Doctrine/DBAL", "php-doctrine-dbal"),
            debian_library("Symfony/Component/Cache", "php-symfony-cache"),
            debian_library("Symfony/Component/HttpClient", "php-symfony-http-client"),
        ]
        found = re.findall(r"(\w+): '(.*)'", settings("Symfony"))
        values = dict(found) | {"pg": re.findall("url: '(.*)'", settings("Symfony", 1))[0]}
        told = await self.php(
            "\n".join(f"require '{path}';" for path in libraries)
            + f"\n$values = json_decode({json.dumps(json.dumps(values))}, true);\n"
            + """
            $db = Doctrine\\DBAL\\DriverManager::getConnection(['url' => $values['url']]);
            $pg = Doctrine\\DBAL\\DriverManager::getConnection(['url' => $values['pg']]);
            $cache = new Symfony\\Component\\Cache\\Adapter\\RedisAdapter(
                Symfony\\Component\\Cache\\Adapter\\RedisAdapter::createConnection(
                    $values['default_redis_provider']));
            $client = Symfony\\Component\\HttpClient\\HttpClient::create([
                'base_uri' => $values['base_uri'], 'bindto' => $values['bindto']]);
            $cache->get('a', fn () => 'b');
            echo json_encode([
                $db->fetchOne('SELECT name FROM goods'),
                $pg->fetchOne('SELECT name FROM goods'),
                $cache->getItem('a')->get(),
                $client->request('POST', '/echo', ['json' => [1]])->toArray()['body'],
            ]);
            """
        )
        self.assertEqual(["Käse", "Käse", "b", "[1]"], told)

    async def test_thinkphp(self) -> None:
        """Its settings, as think-orm's connector for MySQL and its driver for Redis read them."""
        self.start_database()
        self.start_cache()
        told = await self.php(
            f"$config = [{settings('ThinkPHP')}];\n"
            + """
            $db = $config['connections']['mysql'];
            $pdo = new PDO(
                "mysql:unix_socket={$db['socket']};dbname={$db['database']};charset={$db['charset']}",
                $db['username'], $db['password'], [
                    PDO::ATTR_CASE => PDO::CASE_NATURAL,
                    PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
                    PDO::ATTR_ORACLE_NULLS => PDO::NULL_NATURAL,
                    PDO::ATTR_STRINGIFY_FETCHES => false,
                    PDO::ATTR_EMULATE_PREPARES => false,
                ]);
            $statement = $pdo->prepare('SELECT name FROM goods WHERE name <> ?');
            $statement->execute(['Öl']);
            $cache = $config['stores']['redis'];
            $redis = new Redis();
            $redis->connect($cache['host'], (int) $cache['port'], 0);
            $redis->set('a', 'b');
            echo json_encode([$statement->fetchColumn(), $redis->get('a')]);
            """
        )
        self.assertEqual(["Käse", "b"], told)

    async def test_wordpress(self) -> None:
        """Its own class for databases."""
        if not (_WORDPRESS / "wp-includes/class-wpdb.php").exists():
            raise MissingProgram("WordPress not found: apt-get install wordpress php")
        self.start_database()
        told = await self.php(
            settings("WordPress")
            + f"define('ABSPATH', '{_WORDPRESS}/'); define('WPINC', 'wp-includes');\n"
            + """
            define('WP_DEBUG', false);
            foreach (['plugin', 'load', 'functions', 'class-wp-error', 'class-wpdb'] as $name) {
                require ABSPATH . WPINC . "/$name.php";
            }
            $wpdb = new wpdb(DB_USER, DB_PASSWORD, DB_NAME, DB_HOST);
            $wpdb->insert('goods', ['name' => 'Öl']);
            echo json_encode([
                $wpdb->get_col($wpdb->prepare('SELECT name FROM goods WHERE name <> %s', 'x')),
                $wpdb->last_error,
            ]);
            """
        )
        self.assertEqual([["Käse", "Öl"], ""], told)
