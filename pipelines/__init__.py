"""What composes: the embed job, publishing, the Feast plugins, reports and the command line."""
