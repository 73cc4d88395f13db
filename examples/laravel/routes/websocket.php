<?php

declare(strict_types=1);

use App\Http\Controllers\WebSocketController;
use Illuminate\Support\Facades\Route;

// Over FastCGI the path of an event is that of the browser's WebSocket.
Route::post('/ws', WebSocketController::class);
