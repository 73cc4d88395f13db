<?php

declare(strict_types=1);

namespace App\Realtime;

use Phpgw\Event;
use Phpgw\EventInvalid;
use Symfony\Component\DependencyInjection\Attribute\Autowire;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpKernel\Controller\ValueResolverInterface;
use Symfony\Component\HttpKernel\ControllerMetadata\ArgumentMetadata;
use Symfony\Component\HttpKernel\Exception\HttpException;

/** Gives a controller the Event that it asks for, once it is certain that the gateway sent it. */
final class EventResolver implements ValueResolverInterface
{
    public function __construct(
        #[Autowire(env: 'PHPGW_SECRET')]
        #[\SensitiveParameter]
        private readonly string $secret,
    ) {
    }

    /** @return iterable<Event> */
    public function resolve(Request $request, ArgumentMetadata $argument): iterable
    {
        if ($argument->getType() !== Event::class) {
            return [];
        }
        try {
            return [Event::from($request->getContent(), $request->server->all(), $this->secret)];
        } catch (EventInvalid $error) {
            throw new HttpException($error->getCode(), $error->getMessage(), $error);
        }
    }
}
