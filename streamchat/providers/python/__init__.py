"""Models that are Python functions: ``@model`` declares one."""
