<?php

declare(strict_types=1);

namespace Phpgw\Laravel;

use Closure;
use Illuminate\Contracts\Container\Container;
use Illuminate\Http\Request;
use Phpgw\Event;
use Phpgw\EventInvalid;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Exception\HttpException;

/** Middleware: lets through nothing but the gateway's signed events. What comes after it can ask for the Event. */
final class FromGateway
{
    public function __construct(private readonly Container $container)
    {
    }

    public function handle(Request $request, Closure $next): Response
    {
        $secret = $this->container->make('config')->get('broadcasting.connections.phpgw.secret');
        if (!is_string($secret)) {
            throw new \LogicException('broadcasting.connections.phpgw.secret is not set.');
        }
        try {
            $event = Event::from($request->getContent(), $request->server->all(), $secret);
        } catch (EventInvalid $error) {
            throw new HttpException($error->getCode(), $error->getMessage(), $error);
        }
        $this->container->instance(Event::class, $event);
        return $next($request);
    }
}
