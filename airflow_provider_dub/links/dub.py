"""Links from a task to the pages of its workspace in Dub's app.

Airflow 3 asks the task that just ran for its links and keeps them as XComs. Airflow 2.11 asks in the web server, of an
operator that never ran, and a task that still runs is asked nowhere: so the task pushes the XComs itself.

Source of the paths: Dub's app of August 2026. It sends ``/<slug>/customers`` on to the customers of the product that
the workspace uses; older versions have the page itself there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_dub.version_compat import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow_provider_dub.hooks.workspace import Workspace
    from airflow_provider_dub.version_compat import Context, TaskInstanceKey

__all__ = ["DubApiLogLink", "DubCustomersLink"]


class DubPageLink(BaseOperatorLink):
    """A link to a page of the workspace; none if the connection has no ``workspace_slug`` or another host."""

    path: ClassVar[str]
    xcom_key: ClassVar[str]

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the page's address, or an empty text.

        :param operator: The task, or what the web server has instead.
        :param ti_key: The task instance.
        """
        if hasattr(operator, "workspace"):
            return self.address(operator.workspace)
        return XCom.get_value(ti_key=ti_key, key=self.xcom_key) or ""

    def address(self, workspace: Workspace | None) -> str:
        """Return the page's address, or an empty text.

        :param workspace: The workspace, if it is known.
        """
        return (workspace and workspace.page(self.path)) or ""


class DubCustomersLink(DubPageLink):
    """The workspace's customers."""

    name = "Dub customers"
    path = "customers"
    xcom_key = "dub_customers_link"


class DubApiLogLink(DubPageLink):
    """The workspace's log of API requests."""

    name = "Dub API log"
    path = "settings/logs"
    xcom_key = "dub_api_log_link"


DUB_LINKS = (DubCustomersLink(), DubApiLogLink())


def push_links(workspace: Workspace, context: Context) -> None:
    """Push the links that there are as XComs.

    :param workspace: The workspace.
    :param context: The task's context.
    """
    for link in DUB_LINKS:
        if address := link.address(workspace):
            context["ti"].xcom_push(key=link.xcom_key, value=address)
