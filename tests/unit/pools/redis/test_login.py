"""Tests for :mod:`phpgw.pools.redis.login`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.redis.cleaning import RESTORING, RedisCleaning, bulk
from phpgw.pools.redis.login import RedisLogin, RedisLoginRefused
from tests.support.fake_redis import encoded

NONCE = b"0123456789abcdef"
UNKNOWN = b"-ERR unknown subcommand"


def login(
    password: bytes | None = b"secret", user: bytes = b"app", database: int = 3
) -> RedisLogin:
    return RedisLogin(user=user, password=password, database=database)


def replies(*restoring: bytes, **changed: bytes) -> list[bytes]:
    """The replies to a login with password and database; others than usual by their names."""
    each = list(restoring) or [b"+OK", UNKNOWN, UNKNOWN, UNKNOWN]
    usual = {"login": b"+OK", "reset": b"+RESET", "auth": b"+OK", "select": b"+OK"}
    names = {**usual, "echo": bulk(NONCE), **changed}
    return [
        *(names["login"], names["reset"], names["auth"]),
        *each,
        *(names["select"], names["echo"]),
    ]


class LoginTests(SynchronousTestCase):
    def refusal(self, answers: list[bytes], **options: bytes | None) -> str:
        with self.assertRaises(RedisLoginRefused) as caught:
            login(**options).judge(answers, NONCE)  # type: ignore[arg-type]
        return str(caught.exception)

    def cleaning(self, answers: list[bytes]) -> RedisCleaning | None:
        return login().judge(answers, NONCE)

    def test_requests(self) -> None:
        """User, password and database are in it, twice where RESET forgets them."""
        sent = login().requests(NONCE)
        self.assertEqual(2, sent.count(encoded([b"AUTH", b"app", b"secret"])))
        self.assertTrue(sent.startswith(encoded([b"AUTH", b"app", b"secret"])))
        self.assertIn(encoded([b"SELECT", b"3"]), sent)
        self.assertTrue(sent.endswith(encoded([b"ECHO", NONCE])))
        self.assertEqual(login().count_replies(), sent.count(b"*"))

    def test_without_user(self) -> None:
        """Servers before Redis 6 take a password without a user."""
        self.assertIn(encoded([b"AUTH", b"secret"]), login(user=b"").requests(NONCE))

    def test_without_password(self) -> None:
        """Without a password and a database there is no AUTH and no SELECT."""
        plain = login(None, b"", 0)
        sent = plain.requests(NONCE)
        self.assertNotIn(b"AUTH", sent)
        self.assertNotIn(b"SELECT", sent)
        self.assertEqual(plain.count_replies(), sent.count(b"*"))
        found = plain.judge([b"+RESET", *[UNKNOWN] * len(RESTORING), bulk(NONCE)], NONCE)
        assert found is not None
        self.assertEqual(encoded([b"RESET"]), found.requests)

    def test_cleaning(self) -> None:
        """It has the commands that the server knows, and the database comes last."""
        found = self.cleaning(replies())
        assert found is not None
        commands = (
            [b"RESET"],
            [b"AUTH", b"app", b"secret"],
            [b"CLIENT", b"NO-EVICT", b"OFF"],
            [b"SELECT", b"3"],
        )
        self.assertEqual(b"".join(map(encoded, commands)), found.requests)
        self.assertEqual(b"+RESET\r\n" + 3 * b"+OK\r\n", found.replies)
        self.assertTrue(found.covers_all_users)
        sent, expected = found.with_nonce(b"abc")
        self.assertEqual(found.requests + encoded([b"ECHO", b"abc"]), sent)
        self.assertEqual(found.replies + b"$3\r\nabc\r\n", expected)

    def test_forbidden_commands(self) -> None:
        """Where the pool's user may not end a state, another user may have begun it."""
        found = self.cleaning(replies(b"-NOPERM no", UNKNOWN, UNKNOWN, UNKNOWN))
        assert found is not None
        self.assertNotIn(b"NO-EVICT", found.requests)
        self.assertFalse(found.covers_all_users)

    def test_no_cleaning(self) -> None:
        """Without RESET, or without ECHO, nothing is clean."""
        for changed in (
            {"reset": b"-ERR unknown command 'RESET'"},
            {"reset": b"-NOPERM this user"},
            {"reset": b"+OK"},
            {"auth": b"-ERR"},
            {"echo": b"-ERR unknown command 'ECHO'"},
            {"echo": bulk(b"another")},
        ):
            self.assertIsNone(self.cleaning(replies(**changed)), changed)

    def test_refused(self) -> None:
        """The reason says what is wrong, and has nothing of what was sent in it."""
        for answers, reason in (
            (replies(login=b"-WRONGPASS invalid"), "it refuses user and password"),
            (
                replies(login=b"-ERR unknown command 'AUTH', with args beginning with: 'secret'"),
                "it refuses user and password",
            ),
            (replies(select=b"-ERR DB index is out of range"), "it has no database 3"),
            (replies(echo=b"-LOADING Redis is loading"), "it is loading its data"),
            ([b"-ERR max number of clients reached"], "maximum number of clients"),
            ([b"-DENIED Redis is running in protected mode"], "it is in protected mode"),
            ([], "it closed the connection"),
            ([b"+OK", b"+RESET"], "it closed the connection"),
        ):
            text = self.refusal(answers)
            self.assertIn(reason, text)
            self.assertNotIn("secret", text)

    def test_password_is_missing(self) -> None:
        """A server that asks for a password is not taken for one that cannot be cleaned."""
        answers = [b"+RESET", *[b"-NOAUTH"] * (len(RESTORING) + 2)]
        self.assertEqual("it asks for a password", self.refusal(answers, password=None))

    def test_secrets(self) -> None:
        """Nothing that can get into a log has the password in it."""
        self.assertNotIn("secret", repr(login()) + repr(self.cleaning(replies())))
