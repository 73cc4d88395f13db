<?php

declare(strict_types=1);

use App\Models\User;
use Illuminate\Support\Facades\Broadcast;

// private-orders.7: the orders of user 7
Broadcast::channel('orders.{id}', static fn (User $user, string $id): bool => (string) $user->id === $id);

// presence-room.5: what is returned may be known to the others
Broadcast::channel('room.{room}', static fn (User $user, string $room): array => ['name' => $user->name]);
