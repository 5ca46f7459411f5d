from django import forms
from django.core.exceptions import ValidationError

from .packages import Package, UnknownPackage, find_package, installed_packages

__all__ = ["DelayedForm", "PackageForm"]


class PackageForm(forms.Form):
    """The choice of an installed package; cleaned, it is the Package."""

    package = forms.CharField(label="Installed package", initial="django", max_length=200, widget=forms.Select())

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["package"].widget.choices = [
            (package.name, f"{package.name} · {package.distribution} {package.version}")
            for package in installed_packages().values()
        ]

    def clean_package(self) -> Package:
        try:
            return find_package(self.cleaned_data["package"])
        except UnknownPackage as error:
            raise ValidationError(str(error.args[0])) from error


class DelayedForm(forms.Form):
    """What is said, and in how many seconds."""

    text = forms.CharField(label="Text", initial="Hello", max_length=200)
    seconds = forms.IntegerField(label="Seconds from now", initial=10, min_value=1, max_value=3_600)
