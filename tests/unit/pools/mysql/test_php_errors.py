"""The errors that PHP gets in place of a connection."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.errors import PoolError, PoolFull, PoolStopping, ServerUnavailable
from phpgw.pools.mysql.connector import ServerRefused
from phpgw.pools.mysql.php_errors import answer_for
from phpgw.pools.mysql.responses import ErrAnswer


class AnswerTests(SynchronousTestCase):
    def test_codes(self) -> None:
        """PHP gets what the server or its own driver would say."""
        refusal = ErrAnswer(1049, "42000", "Unknown database 'x'")
        cases: tuple[tuple[PoolError, tuple[int, str]], ...] = (
            (PoolFull("all 8 connections are in use"), (1040, "08004")),
            (PoolStopping("the gateway stops"), (1053, "08S01")),
            (ServerUnavailable("nothing answers"), (2002, "HY000")),
            (ServerRefused(refusal), (1049, "42000")),
        )
        for error, (code, state) in cases:
            answer = answer_for(error)
            self.assertEqual((code, state), (answer.code, answer.state))

    def test_texts(self) -> None:
        """Frameworks look for these words."""
        self.assertIn("Too many connections", answer_for(PoolFull("all are in use")).message)
        self.assertIn("Connection refused", answer_for(ServerUnavailable("x")).message)

    def test_no_control_characters(self) -> None:
        self.assertNotIn("\n", answer_for(ServerUnavailable("two\nlines")).message)

    def test_login(self) -> None:
        """PHP learns that the login has failed, and not whose."""
        denied = "Access denied for user 'app'@'10.0.0.1' (using password: YES)"
        answer = answer_for(ServerRefused(ErrAnswer(1045, "28000", denied)))
        self.assertEqual((1045, "28000"), (answer.code, answer.state))
        self.assertIn("Access denied", answer.message)
        self.assertNotIn("app'", answer.message)

    def test_user(self) -> None:
        """No error of a login names the user at the server, whatever database PHP names."""
        for code, text in (
            (1044, "Access denied for user 'app'@'10.0.0.1' to database 'mysql'"),
            (1203, "User app already has more than 'max_user_connections' active connections"),
            (
                1226,
                "User 'app' has exceeded the 'max_user_connections' resource (current value: 5)",
            ),
            (3955, "Access denied for user 'app'@'10.0.0.1'. Account is blocked for 3 day(s)"),
        ):
            answer = answer_for(ServerRefused(ErrAnswer(code, "42000", text)))
            self.assertEqual((code, "42000"), (answer.code, answer.state))
            self.assertNotRegex(answer.message, r"\bapp\b")
