"""Which way mails take out of the shop."""

from config.settings import Settings
from infrastructure.mail.delivery import MailDelivery
from infrastructure.mail.mail_folder import MailFolder, mail_folder


def mail_delivery(settings: Settings) -> MailDelivery:
    """The mail server of SMTP_URL, or the folder of a shop that has none."""
    if settings.smtp_url is not None:
        # Most shops on a machine of a developer never load it.
        from infrastructure.mail.smtp_server import SmtpServer

        return SmtpServer(settings.smtp_url)
    return MailFolder(mail_folder(settings))
