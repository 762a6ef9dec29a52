"""Who does jobs: this process, or Celery's workers."""
