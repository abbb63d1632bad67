"""What is known of CANN, the Ascend 310P chips and the tools beside them: one sheet of facts with sources and dates."""
