"""One HTTP transport for both sides, with its patience: retries, waits, and how many requests at once.

``Transport`` sends one request over a kept-alive connection. ``Sender`` puts the policy around it: it sends again what
is worth sending again (``retry``), and holds back when the other side slows down (``pacing``). Nothing here knows
Backstage or Port.
"""
