"""Flower's configuration, read by Flower itself: each name here that is one of its options sets that option.

``scaffoldry flower`` uses it; ``celery -A shared.queue:app flower --conf=PATH``, with this file's path, does as well.
"""

from coordinator.monitoring.flower import credentials, state_file
from coordinator.monitoring.task_words import format_task
from shared.settings import get_settings

__all__ = ["format_task"]

basic_auth = credentials(get_settings())
logging = "warning"
read_only = True
"""Flower shows; ``scaffoldry cancel`` acts. A job that was killed here would only be tried again."""

tasks_columns = "uuid,args,result,state,worker,received,runtime"
natural_time = True
"""``3 minutes ago``: Flower knows no reader's time zone."""

persistent = True
db = str(state_file(None))
state_save_interval = 60_000
"""Milliseconds. It is saved at the end too; this is for where the machine fails."""
max_tasks = 20_000
"""The latest. They are saved whole each time, which holds Flower up meanwhile."""
purge_offline_workers = 24 * 3600
"""Seconds for which a worker that is gone stays on the list."""
