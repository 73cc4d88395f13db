<?php

declare(strict_types=1);

return [
    'default' => env('BROADCAST_CONNECTION', 'phpgw'),

    'connections' => [
        'phpgw' => [
            'driver' => 'phpgw',
            'url' => env('PHPGW_URL', 'http://127.0.0.1:8080'),
            'token' => env('PHPGW_TOKEN'), // where the gateway has --api-token-file
            'secret' => env('PHPGW_SECRET'), // what is in its --secret-file
        ],
    ],
];
