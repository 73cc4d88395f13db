<?php

declare(strict_types=1);

use Illuminate\Cookie\Middleware\EncryptCookies;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Configuration\Exceptions;
use Illuminate\Foundation\Configuration\Middleware;
use Illuminate\Support\Facades\Route;
use Phpgw\Laravel\FromGateway;
use Phpgw\Laravel\ReadSession;

return Application::configure(basePath: dirname(__DIR__))
    ->withRouting(
        web: __DIR__ . '/../routes/web.php',
        commands: __DIR__ . '/../routes/console.php',
        health: '/up',
        channels: __DIR__ . '/../routes/channels.php',
        then: static fn () => Route::middleware('websocket')->group(__DIR__ . '/../routes/websocket.php'),
    )
    ->withMiddleware(static function (Middleware $middleware): void {
        // In place of "web": there is no CSRF token in an event, but a signature; and the session is read, not written.
        $middleware->group('websocket', [FromGateway::class, EncryptCookies::class, ReadSession::class]);
    })
    ->withExceptions(static function (Exceptions $exceptions): void {
    })
    ->create();
