<?php

// Ends the session, and shows every tab of this visitor the door.

declare(strict_types=1);

require __DIR__ . '/../app.php';

open_page();

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    open_session(to_write: true);
    $me = $_SESSION['visitor'] ?? null;
    session_destroy();
    if ($me !== null) {
        gateway()->closeUser($me['id'], reason: 'Logged out.');
    }
}
go_to('login.php');
