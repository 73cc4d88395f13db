<?php

declare(strict_types=1);

namespace App\Realtime;

use Phpgw\GatewayError;
use Psr\Log\LoggerInterface;

/** Logs that something could not be pushed; the page goes on. */
final class GatewayErrors
{
    public function __construct(private readonly LoggerInterface $logger)
    {
    }

    public function __invoke(GatewayError $error): void
    {
        $this->logger->error('The gateway failed: {message}', ['message' => $error->getMessage()]);
    }
}
