"""Episodes: support and query sets are drawn, stored in files, and verified."""

from flawshot.episodes.episode_files import (
    episode_product,
    find_episode_files,
    read_episodes,
    write_all,
    write_episodes,
)
from flawshot.episodes.episode_set import Episode, EpisodeSet
from flawshot.episodes.groups import groups_from_csv, groups_from_regex
from flawshot.episodes.possible import Possible, sample_possible
from flawshot.episodes.sampling import PROTOCOLS, sample_episodes, sample_tasks
from flawshot.episodes.verification import verify_episodes

__all__ = [
    "PROTOCOLS",
    "Episode",
    "EpisodeSet",
    "Possible",
    "episode_product",
    "find_episode_files",
    "groups_from_csv",
    "groups_from_regex",
    "read_episodes",
    "sample_episodes",
    "sample_possible",
    "sample_tasks",
    "verify_episodes",
    "write_all",
    "write_episodes",
]
