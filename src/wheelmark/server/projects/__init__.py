"""What there is: Project, Release, File, collaborators, lifecycle status, the journal."""
