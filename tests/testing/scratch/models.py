from django.db import models


class Receipt(models.Model):
    order = models.CharField(max_length=100)
