<?php

declare(strict_types=1);

namespace Phpgw;

/** PHP's settings, for phpgw check; from Reply::check(). */
final class CheckAnswer extends Answer
{
    private const SETTINGS = [
        'post_max_size',
        'enable_post_data_reading',
        'display_errors',
        'output_buffering',
        'zlib.output_compression',
        'max_execution_time',
    ];

    public function status(): int
    {
        return 200;
    }

    public function headers(): array
    {
        return ['Content-Type' => 'application/json'];
    }

    public function body(): string
    {
        $ini = array_map(static fn (string $name): string => (string) ini_get($name), self::SETTINGS);
        return (string) json_encode(['phpgw_check' => ['ini' => array_combine(self::SETTINGS, $ini)]]);
    }
}
