"""The PHP library within Laravel: with Laravel's own broadcast manager, requests and sessions."""

import hmac
import json
import time

from twisted.internet.defer import Deferred

from tests.support.real.fake_gateway_api import FakeGatewayApiTestCase
from tests.support.real.php import LIBRARY, debian_library, php
from tests.support.real.process import free_port

_PACKAGES = {
    "Illuminate/Broadcasting": "php-illuminate-broadcasting",
    "Illuminate/Config": "php-illuminate-config",
    "Illuminate/Http": "php-illuminate-http",
    "Illuminate/Session": "php-illuminate-session",
}
# What a Laravel application comes to, without the application; of some classes there is no need.
_APPLICATION = """
final class Application extends \\Illuminate\\Container\\Container {}
final class User {
    public function getAuthIdentifier(): int { return 7; }
}
$app = new Application();
$app->instance('config', new \\Illuminate\\Config\\Repository(['broadcasting' => [
    'default' => 'phpgw',
    'connections' => ['phpgw' => ['driver' => 'phpgw', 'url' => $argv[1], 'secret' => 's']],
]]));
$app->singleton(\\Illuminate\\Broadcasting\\BroadcastManager::class,
    fn ($app) => new \\Illuminate\\Broadcasting\\BroadcastManager($app));
(new \\Phpgw\\Laravel\\PhpgwServiceProvider($app))->register();
$manager = $app->make(\\Illuminate\\Broadcasting\\BroadcastManager::class);
$request = static function (string $body, array $server = [], ?User $user = null) {
    $request = \\Illuminate\\Http\\Request::create('/ws', 'POST', [], [], [], $server, $body);
    $request->setUserResolver(static fn () => $user);
    return $request;
};
"""
_CHANNELS = """
$manager->channel('orders.{id}', fn (User $user, string $id) => $id === '7');
$manager->channel('room.{id}', fn (User $user, string $id) => ['name' => 'Ann']);
$manager->channel('news', fn (?User $user = null) => true);
$shown = function (string $channel, ?User $user) use ($manager, $request): string {
    try {
        $asking = $request('', [], $user)->merge(['channel_name' => $channel]);
        return json_encode($manager->auth($asking));
    } catch (\\Symfony\\Component\\HttpKernel\\Exception\\AccessDeniedHttpException) {
        return 'denied';
    }
};
"""


class LaravelTests(FakeGatewayApiTestCase):
    url = ""

    def laravel(self, source: str, *arguments: str) -> Deferred[str]:
        """Run PHP code that has an $app, its $manager of broadcasts, and can make a $request."""
        loading = "".join(f"require '{debian_library(*each)}';" for each in _PACKAGES.items())
        for name in ("PhpgwBroadcaster", "FromGateway", "ReadSession", "PhpgwServiceProvider"):
            loading += f"require '{LIBRARY.parent}/src/Laravel/{name}.php';"
        # This Laravel is older than the PHP that runs it.
        loading += "error_reporting(E_ALL & ~E_DEPRECATED);"
        return php(loading + _APPLICATION + source, self.url, *arguments)

    async def test_broadcast(self) -> None:
        """A message for each channel, in one request; the sender's own socket is left out."""
        stand_in = self.serve((200, [{"delivered": 1}, {"delivered": 1}]))
        await self.laravel("""
            $channels = [new \\Illuminate\\Broadcasting\\PrivateChannel('orders.7'), 'news'];
            $payload = ['id' => 'ü', 'socket' => '[::1]:5'];
            $manager->connection()->broadcast($channels, 'Shipped', $payload);
        """)
        [asked] = stand_in.asked
        self.assertEqual(asked.uri, "/commands")
        for channel, command in zip(
            ["private-orders.7", "news"], json.loads(asked.body), strict=True
        ):
            self.assertEqual(
                json.loads(command.pop("message")),
                {"event": "Shipped", "channel": channel, "data": {"id": "ü"}},
            )
            self.assertEqual(
                command, {"op": "send", "to": {"group": channel}, "except": ["[::1]:5"]}
            )

    async def test_nobody_to_leave_out(self) -> None:
        """An X-Socket-ID that is there and empty, as a page without a connection yet sends it."""
        stand_in = self.serve((200, [{"delivered": 1}]))
        for socket in ("''", "null", "[]", "false"):
            await self.laravel(
                f"$manager->connection()->broadcast(['news'], 'E', ['socket' => {socket}]);"
            )
        self.assertEqual(len(stand_in.asked), 4)
        for asked in stand_in.asked:
            [command] = json.loads(asked.body)
            self.assertNotIn("except", command)

    async def test_broadcast_of_what_is_no_text(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        printed = await self.laravel("""
            try {
                $manager->connection()->broadcast(['news'], 'Shipped', ['x' => "\\xff"]);
            } catch (\\Illuminate\\Broadcasting\\BroadcastException $error) {
                echo $error->getMessage();
            }
        """)
        self.assertTrue(printed.startswith("The event Shipped cannot be sent"), printed)

    async def test_broadcast_fails(self) -> None:
        """With Laravel's own exception: a queue tries again, and ShouldRescue goes on."""
        self.url = f"http://127.0.0.1:{free_port()}"
        printed = await self.laravel("""
            try {
                $manager->connection()->broadcast(['news'], 'Shipped', []);
            } catch (\\Illuminate\\Broadcasting\\BroadcastException $error) {
                echo $error->getMessage();
            }
        """)
        self.assertTrue(printed.startswith("No answer from the gateway"), printed)

    async def test_push_fails(self) -> None:
        """It is reported, and the page goes on."""
        self.url = f"http://127.0.0.1:{free_port()}"
        printed = await self.laravel("""
            final class Handler implements \\Illuminate\\Contracts\\Debug\\ExceptionHandler {
                public function report(\\Throwable $e) { echo get_class($e); }
                public function shouldReport(\\Throwable $e) { return true; }
                public function render($request, \\Throwable $e) { throw $e; }
                public function renderForConsole($output, \\Throwable $e) { throw $e; }
            }
            $app->instance(\\Illuminate\\Contracts\\Debug\\ExceptionHandler::class, new Handler());
            echo json_encode($app->make(Gateway::class)->sendToAll('x')->ok);
        """)
        self.assertEqual(printed, "Phpgw\\GatewayErrorfalse")

    async def test_channels(self) -> None:
        printed = await self.laravel(
            _CHANNELS
            + """
            $user = new User();
            echo implode("\\n", [
                $shown('private-orders.7', $user),
                $shown('private-orders.8', $user),
                $shown('private-orders.7', null),
                $shown('presence-room.1', $user),
                $shown('news', null),
                $shown('other', $user),
                $shown('', $user),
            ]);
            """
        )
        self.assertEqual(
            printed.splitlines(),
            [
                '{"channel":"private-orders.7"}',
                "denied",
                "denied",
                '{"channel":"presence-room.1","user_id":7,"user_info":{"name":"Ann"}}',
                '{"channel":"news"}',
                "denied",
                "denied",
            ],
        )

    async def test_signed_alone(self) -> None:
        """The middleware, for an event of the gateway and for anything else."""
        body, now = "type=server&message= x &client_id=1", str(int(time.time()))
        digest = hmac.digest(b"s", f"{now}.{body}".encode(), "sha256").hex()
        printed = await self.laravel(
            """
            [, , $body, $now, $digest] = $argv;
            $gate = new \\Phpgw\\Laravel\\FromGateway($app);
            $next = fn () => new \\Illuminate\\Http\\Response($app->make(Event::class)->message);
            $signed = ['HTTP_PHPGW_TIMESTAMP' => $now, 'HTTP_PHPGW_SIGNATURE' => "sha256=$digest"];
            echo $gate->handle($request($body, $signed), $next)->getContent();
            foreach ([$request($body), $request("$body&user=1", $signed)] as $forged) {
                try {
                    $gate->handle($forged, $next);
                } catch (\\Symfony\\Component\\HttpKernel\\Exception\\HttpException $error) {
                    echo $error->getStatusCode();
                }
            }
            $app->make('config')->set('broadcasting.connections.phpgw.secret', null);
            try {
                $gate->handle($request($body, $signed), $next);
            } catch (\\LogicException $error) {
                echo $error->getMessage();
            }
            """,
            body,
            now,
            digest,
        )
        self.assertEqual(printed, " x 403403broadcasting.connections.phpgw.secret is not set.")

    async def test_session_is_only_read(self) -> None:
        """What a message finds, it leaves as it was, flash data too."""
        printed = await self.laravel("""
            $settings = ['driver' => 'array', 'cookie' => 's', 'lifetime' => 1];
            $app->make('config')->set('session', $settings);
            $sessions = new \\Illuminate\\Session\\SessionManager($app);
            $page = $sessions->driver();
            $page->start();
            $page->put('user', 7);
            $page->flash('status', 'saved');
            $page->save();
            $message = $request('');
            $message->cookies->set($page->getName(), $page->getId());
            echo (new \\Phpgw\\Laravel\\ReadSession($sessions))->handle($message, fn ($message) =>
                new \\Illuminate\\Http\\Response($message->session()->get('user')))->getContent();
            $page->start();
            echo $page->get('status');
        """)
        self.assertEqual(printed, "7saved")
