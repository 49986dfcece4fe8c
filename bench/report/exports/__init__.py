"""A run in the formats that other programs read: functions of its report that return the text."""
