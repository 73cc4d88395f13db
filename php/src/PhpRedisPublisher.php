<?php

declare(strict_types=1);

namespace Phpgw;

/** With ext-redis, over a connection of the application's: also with TLS or Sentinel, or a persistent one. */
final class PhpRedisPublisher implements Publisher
{
    public function __construct(private readonly \Redis $redis)
    {
    }

    public function publish(array $frames): array
    {
        try {
            $pipeline = $this->redis->multi(\Redis::PIPELINE);
            foreach ($frames as [$channel, $message]) {
                // Not publish(), which puts the connection's prefix before the channel.
                $pipeline->rawCommand('PUBLISH', $channel, $message);
            }
            $counts = $pipeline->exec();
        } catch (\RedisException $error) {
            throw new GatewayError('Redis: ' . $error->getMessage(), previous: $error);
        }
        if (!is_array($counts) || array_filter($counts, is_int(...)) !== $counts) {
            throw new GatewayError('Redis: ' . ($this->redis->getLastError() ?? 'no number of gateways'));
        }
        return array_values($counts);
    }
}
