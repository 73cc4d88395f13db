<?php

declare(strict_types=1);

namespace App\Events;

use Illuminate\Broadcasting\InteractsWithSockets;
use Illuminate\Broadcasting\PrivateChannel;
use Illuminate\Contracts\Broadcasting\ShouldBroadcast;
use Illuminate\Contracts\Broadcasting\ShouldRescue;
use Illuminate\Foundation\Events\Dispatchable;

/** OrderShipped::dispatch(...) on the server is channel('private-orders.7').on('OrderShipped', ...) in the browser. */
final class OrderShipped implements ShouldBroadcast, ShouldRescue
{
    use Dispatchable;
    use InteractsWithSockets;

    public function __construct(private readonly int $userId, public readonly int $orderId)
    {
    }

    public function broadcastOn(): PrivateChannel
    {
        return new PrivateChannel("orders.$this->userId");
    }

    public function broadcastAs(): string
    {
        return 'OrderShipped';
    }
}
