"""Stands in for Resend on this machine: takes e-mails as Resend does, delivers none, and shows them on a page."""
