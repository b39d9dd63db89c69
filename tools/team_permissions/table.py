"""The whole table, by heading of the page."""

from tools.team_permissions import rights, tricks, work
from tools.team_permissions.action import Action

TABLE: dict[str, tuple[Action, ...]] = {
    "Work with pods": work.PODS,
    "Work with other objects": work.OBJECTS,
    "Read": work.READING,
    "Where each member's slices are counted": work.PER_MEMBER,
    "Slices, time and PriorityClasses": tricks.QUOTA,
    "Ways to a card without a slice": tricks.CARDS,
    "Privileges of a pod": tricks.PRIVILEGES,
    "Ways to keep others waiting": tricks.WAITING,
    "Places and owners of a pod": tricks.PLACES,
    "Services": tricks.SERVICES,
    "Parts of pods": rights.POD_PARTS,
    "Other kinds": rights.OTHER_KINDS,
    "Roles and identities": rights.ROLES,
    "ServiceAccounts and tokens": rights.ACCOUNTS,
    "Quotas, classes and policies": rights.SHARES,
    "Nodes and volumes": rights.NODES,
    "Other namespaces and the operator": rights.ELSEWHERE,
}
ACTIONS = tuple(action for some in TABLE.values() for action in some)
