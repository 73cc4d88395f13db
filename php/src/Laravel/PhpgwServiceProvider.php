<?php

declare(strict_types=1);

namespace Phpgw\Laravel;

use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Contracts\Container\Container;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Support\ServiceProvider;
use Phpgw\Gateway;
use Phpgw\GatewayError;

/** The broadcasting driver "phpgw", and the Gateway of config/broadcasting.php for whoever asks for it. */
final class PhpgwServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->app->singleton(Gateway::class, static fn (Container $app): Gateway => self::gateway(
            $app->make('config')->get('broadcasting.connections.phpgw', []),
            static fn (GatewayError $error) => $app->make(ExceptionHandler::class)->report($error),
        ));
        $this->callAfterResolving(BroadcastManager::class, static function (BroadcastManager $manager): void {
            $manager->extend('phpgw', static fn (Container $app, array $config): PhpgwBroadcaster =>
                new PhpgwBroadcaster(self::gateway($config)));
        });
    }

    /**
     * @param array<string, mixed> $config a connection in config/broadcasting.php
     * @param (\Closure(GatewayError): mixed)|null $onError
     */
    private static function gateway(array $config, ?\Closure $onError = null): Gateway
    {
        return new Gateway($config['url'] ?? Gateway::DEFAULT_URL, $config['token'] ?? null, onError: $onError);
    }
}
