<?php

// Pushes from anywhere in PHP: php push.php alice "Your order has left."

declare(strict_types=1);

if (PHP_SAPI !== 'cli') {
    exit; // on the web, anybody's query string could be $argv
}

require __DIR__ . '/../../php/phpgw.php';

[, $user, $text] = $argv + [1 => '', 2 => ''];
$result = Phpgw\Gateway::fromEnvironment()->sendToUser($user, $text);

if (!$result->ok) {
    fwrite(STDERR, $result->error . PHP_EOL);
    exit(1);
}
echo "Sent to $result->delivered of $user's windows.", PHP_EOL;
