"""Templates of mails and pages, their message catalogs, and the small loader that reads both."""
