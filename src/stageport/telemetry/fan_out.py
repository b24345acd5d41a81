"""One listener made of several."""

from stageport.model.events import Event, Listener


def fan_out(*listeners: Listener) -> Listener:
    """Return a listener that passes every event on to several others, in order."""

    def listen(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return listen
